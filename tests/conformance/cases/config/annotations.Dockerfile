#: annotation org.example.a=b other="two words"
FROM busybox
RUN true
