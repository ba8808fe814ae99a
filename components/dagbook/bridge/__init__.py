"""The bridge: a resident process in the project's interpreter that knows its components.

Front ends (magics, the Jupyter server, the command line) talk to it through
`dagbook.bridge_client` and load neither Dagster nor a company's code themselves.

Two processes: this one reads questions and answers what takes no component's code; the other, its
worker, has Dagster and that code loaded. Code that hangs, exits or crashes takes the worker along
and nothing else: the worker is replaced, and the question answered with what happened.
"""
