"""The command `groundedit`."""
