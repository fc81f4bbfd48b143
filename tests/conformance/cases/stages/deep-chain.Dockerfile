FROM busybox AS a
RUN echo a > /a
FROM a AS b
ENV B=1
FROM b AS c
WORKDIR /c
FROM c AS d
USER nobody
FROM d
CMD ["d"]
