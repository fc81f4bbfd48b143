FROM busybox
CMD ["mine"]
ENTRYPOINT ["/entry"]
