FROM other AS other
RUN ls /opt > /x
