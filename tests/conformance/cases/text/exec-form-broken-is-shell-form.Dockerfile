FROM busybox
CMD ["one", "two"
ENTRYPOINT ['single', 'quotes']
