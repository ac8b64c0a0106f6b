-- The results that unfinished jobs read, as texts of ids with spaces between them.
return readers()
