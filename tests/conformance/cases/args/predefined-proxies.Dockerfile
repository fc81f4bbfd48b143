#: args HTTP_PROXY=http://127.0.0.1:9 no_proxy=localhost FTP_PROXY=x ALL_PROXY=y
FROM busybox
RUN env | grep -i proxy | sort > /out
