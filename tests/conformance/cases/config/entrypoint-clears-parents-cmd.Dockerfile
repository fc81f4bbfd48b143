FROM busybox AS one
CMD ["parent"]
FROM one
ENTRYPOINT ["/entry"]
