FROM odd
RUN rm -r /odd/dir && echo file > /odd/dir
