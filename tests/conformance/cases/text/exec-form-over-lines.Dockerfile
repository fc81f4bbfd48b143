FROM busybox
RUN [ "sh", \
      # in between
      "-c", \
      "echo x > /out" ]
CMD [ "a" , "b" ]   
