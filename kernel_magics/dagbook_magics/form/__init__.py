"""The form of `%dagster form`: a component's schema as ipywidgets, for front ends without a panel."""
