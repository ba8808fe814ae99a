"""What IPython's own magics do to a notebook's names, and names every notebook has."""

from __future__ import annotations

import builtins
import re

# IPython's own, then those of packages that many have.
_QUIET = """
    alias alias_magic autoawait autocall automagic autosave bookmark cat cd clear colors conda
    config connect_info cp cython debug dhist dirs doctest_mode ed env gui hist history
    killbgscripts ldir less lf lk ll load_ext logoff logon logstart logstate logstop ls lsmagic
    lx magic mamba man matplotlib micromamba mkdir more mv notebook page pastebin pdb pdef pdoc
    pfile pinfo pinfo2 pip popd pprint precision prun psearch psource pushd pwd pycat qtconsole
    quickref rehashx reload_ext reset_selective rm rmdir sc save set_env store subshell sx system
    tb time timeit unalias unload_ext uv warnings who who_ls whos xdel xmode
    bash capture cmd file html HTML javascript js latex markdown perl pypy python python2 python3
    ruby script sh svg SVG writefile
    aimport autoreload black blackcellmagic dagster dotenv flake8_off flake8_on ipytest isort
    lab_black load_dotenv lprun memit mprof mprun nb_black pycodestyle_on tensorboard watermark
"""
#: Line and cell magics that make no names.
QUIET_MAGICS = frozenset(_QUIET.split())

_KNOWN = """
    In Out _ __ ___ _i _ii _iii _ih _oh _dh get_ipython display exit quit open __IPYTHON__
    __name__ __doc__ __spec__ __loader__ __package__ __builtin__ __builtins__ __annotations__
    __class__ __session__ __vsc_ipynb_file__ __vsc_ipynb_cell_id__ __warningregistry__
    PythonFinalizationError _IncompleteInputError WindowsError
    spark sc sqlContext sqlc dbutils displayHTML
"""
#: Names that a notebook has without defining them: IPython's, those of newer Pythons and of
#: other systems, and what kernels of Spark and Databricks put there.
KNOWN_NAMES = frozenset(dir(builtins)) | frozenset(_KNOWN.split())
_NUMBERED = re.compile(r"_i?\d+")


def is_known_name(name: str) -> bool:
    """Whether every notebook has the name, of Python or of IPython."""
    return name in KNOWN_NAMES or _NUMBERED.fullmatch(name) is not None


#: Names that stand for a library wherever they are used, and the line that makes them.
USUAL_IMPORTS = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "pl": "import polars as pl",
    "plt": "import matplotlib.pyplot as plt",
    "mpl": "import matplotlib as mpl",
    "sns": "import seaborn as sns",
    "px": "import plotly.express as px",
    "xr": "import xarray as xr",
    "gpd": "import geopandas as gpd",
    "nx": "import networkx as nx",
    "smf": "import statsmodels.formula.api as smf",
    "tf": "import tensorflow as tf",
    "torch": "import torch",
    "os": "import os",
    "sys": "import sys",
    "re": "import re",
    "json": "import json",
    "math": "import math",
    "time": "import time",
    "random": "import random",
    "datetime": "import datetime",
    "Path": "from pathlib import Path",
    "defaultdict": "from collections import defaultdict",
    "Counter": "from collections import Counter",
    "timedelta": "from datetime import timedelta",
    "partial": "from functools import partial",
    "tqdm": "from tqdm.auto import tqdm",
}
