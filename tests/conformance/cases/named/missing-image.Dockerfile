#: named src=docker-image://{registry}/nothing-here:latest
#: fails 3 nothing-here
FROM src
