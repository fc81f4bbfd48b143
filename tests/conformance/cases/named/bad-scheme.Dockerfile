#: named src=nope://x
#: fails 3 could not open
FROM src
