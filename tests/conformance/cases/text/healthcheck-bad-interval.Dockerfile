#: fails 3 invalid duration 'soon': digits expected
FROM busybox
HEALTHCHECK --interval=soon CMD true
