"""Model servers that a build runs itself: the command line, the supervisor below which they run, health."""
