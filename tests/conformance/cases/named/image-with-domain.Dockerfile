#: named ghcr.io/a/b:3=docker-image://{registry}/other:latest
FROM ghcr.io/a/b:3
RUN cat /opt/other > /out
