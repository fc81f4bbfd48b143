#: named src=layout:other
FROM src
RUN cat /opt/other > /out
