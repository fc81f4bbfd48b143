#: named src=docker-image://{registry}/other:latest
FROM docker.io/library/src
RUN cat /opt/other > /out
