#: named src:1.2=docker-image://{registry}/other:latest
FROM src:1.2
RUN cat /opt/other > /out
