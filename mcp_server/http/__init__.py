"""Everything that is served over HTTP beside the protocol itself, and the application that mounts both."""
