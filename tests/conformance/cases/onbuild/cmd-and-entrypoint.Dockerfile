FROM busybox AS base
CMD ["base"]
ONBUILD CMD ["trigger"]
FROM base
ENTRYPOINT ["e"]
