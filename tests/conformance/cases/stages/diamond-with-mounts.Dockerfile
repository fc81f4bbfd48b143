FROM busybox AS a
RUN echo a > /a
FROM busybox AS b
RUN --mount=from=a,source=/a,target=/in cat /in > /b
FROM busybox
RUN --mount=from=a,target=/ma --mount=from=b,target=/mb cat /ma/a /mb/b > /c
