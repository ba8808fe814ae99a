"""What to install for a name that is imported: not always a package of the same name."""

from __future__ import annotations

_OTHERWISE = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "IPython": "ipython",
    "Levenshtein": "levenshtein",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "airflow": "apache-airflow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "category_encoders": "category-encoders",
    "community": "python-louvain",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "ee": "earthengine-api",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "git": "gitpython",
    "github": "pygithub",
    "googleapiclient": "google-api-python-client",
    "grpc": "grpcio",
    "imblearn": "imbalanced-learn",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "kafka": "kafka-python",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    "nacl": "pynacl",
    "osgeo": "gdal",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pywt": "pywavelets",
    "rest_framework": "djangorestframework",
    "ruamel": "ruamel.yaml",
    "serial": "pyserial",
    "shapefile": "pyshp",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "sklearnex": "scikit-learn-intelex",
    "slugify": "python-slugify",
    "socks": "pysocks",
    "sksurv": "scikit-survival",
    "skopt": "scikit-optimize",
    "snowflake": "snowflake-connector-python",
    "talib": "ta-lib",
    "telegram": "python-telegram-bot",
    "umap": "umap-learn",
    "usb": "pyusb",
    "wx": "wxpython",
    "xdist": "pytest-xdist",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
#: Top-level names that many distributions share: what to install depends on the rest.
_SHARED = frozenset({"google", "azure", "databricks", "backports", "zope", "opentelemetry"})


def distribution_of(dotted: str) -> str:
    """The name to give `pip install` for a module that is imported.

    Args:
        dotted: as imported: ``sklearn.svm``, ``google.cloud.bigquery``.
    """
    parts = dotted.split(".")
    if parts[0] in _SHARED and len(parts) > 1:
        depth = 3 if parts[:2] == ["google", "cloud"] or parts[0] == "azure" else 2
        return "-".join(parts[:depth]).replace("_", "-")
    return _OTHERWISE.get(parts[0], parts[0].replace("_", "-"))
