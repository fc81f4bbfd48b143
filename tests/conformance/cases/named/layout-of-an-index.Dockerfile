#: named src=layout:platforms
FROM src
ENV a=b
