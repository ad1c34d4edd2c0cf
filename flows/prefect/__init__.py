"""The flow `build-groundedit`, its reports and its server."""
