FROM odd
RUN find /odd -exec stat -c '%n %A %u %g %h' {} + | sort > /listing
RUN rm -r /odd/dir && mkdir /odd/dir && touch /odd/dir/new
