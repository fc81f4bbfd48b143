FROM busybox AS one
CMD ["parent"]
ENTRYPOINT ["/entry"]
FROM one
RUN true
