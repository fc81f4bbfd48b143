#: fails 4 too many symbolic links in '/a/'
FROM busybox
RUN ln -s b /a && ln -s a /b
COPY a.txt /a/
