FROM merged
RUN ls /etc | sort > /list
