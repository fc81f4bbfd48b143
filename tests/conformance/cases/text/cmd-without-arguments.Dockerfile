FROM busybox
ENTRYPOINT ["a"]
CMD
