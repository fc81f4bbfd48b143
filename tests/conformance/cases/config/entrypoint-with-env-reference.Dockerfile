FROM busybox
ENV X=1
ENTRYPOINT ["sh", "-c", "echo $X"]
