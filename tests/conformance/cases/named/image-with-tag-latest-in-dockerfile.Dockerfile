#: named src=docker-image://{registry}/other:latest
FROM src:latest
RUN cat /opt/other > /out
