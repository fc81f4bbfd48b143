FROM configured
ENTRYPOINT []
CMD ["x"]
