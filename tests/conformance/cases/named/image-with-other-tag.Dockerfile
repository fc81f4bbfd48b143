#: named src=docker-image://{registry}/other:latest
#: fails 3 src:2
FROM src:2
