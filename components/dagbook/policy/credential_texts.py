"""Whether a text looks like a credential itself, where only the name of one belongs.

What is found is never shown: a message says where it stands and what to write instead.
"""

from __future__ import annotations

import functools
import re

#: Each begins as its issuer's tokens and keys do.
_KNOWN = re.compile(
    r"""
      \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                                  # AWS access keys
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}  # GitHub
    | \bglpat-[A-Za-z0-9_-]{16,}                                     # GitLab
    | \bsk-[A-Za-z0-9_-]{20,} | \bsk_(?:live|test)_[A-Za-z0-9]{16,}  # OpenAI, Anthropic, Stripe
    | \bhf_[A-Za-z0-9]{20,}                                          # Hugging Face
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}                               # Slack
    | \bAIza[A-Za-z0-9_-]{30,}                                       # Google
    | \bya29\.[A-Za-z0-9_-]{20,}
    | \bhv[sb]\.[A-Za-z0-9_-]{20,}                                   # Vault
    | \bdapi[0-9a-f]{32}\b                                           # Databricks
    | \bnpm_[A-Za-z0-9]{30,} | \bpypi-[A-Za-z0-9_-]{30,}
    | \beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.                 # JSON web tokens
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY
    | \bAccountKey\s*=\s*[A-Za-z0-9+/]{20,}                          # Azure storage
    | \bhooks\.slack\.com/(?:services|workflows|triggers)/.
    """,
    re.X,
)
#: A user name and a password before the host of an address.
_LOGIN = re.compile(r"://[^\s/?#@:]*:[^\s/?#@]+@")
#: ``password=…`` in a connection string or a query.
_GIVEN = re.compile(
    r"(?i)(?:^|[;?&\s'\"-])(?:password|passwd|pwd|secret|token|api_?key|access_?key|sig)"
    r"\s*=\s*(?![{$<])[^\s;&]{4,}"
)


@functools.lru_cache(maxsize=1024)
def looks_like_credential(text: str) -> bool:
    """Whether a text holds an address with a password, or a key or token of a known form."""
    return any(pattern.search(text) is not None for pattern in (_KNOWN, _LOGIN, _GIVEN))
