FROM busybox
CMD ["a\qb"]
