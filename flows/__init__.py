"""The only package that imports Prefect or Ray: the flow, the pools, the reports and the command line."""
