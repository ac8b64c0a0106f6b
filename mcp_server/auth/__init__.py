"""Who signs in over HTTP: from a bearer token to a principal and its scopes. Knows no policy, no tools and no web."""
