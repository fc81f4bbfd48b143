FROM configured
USER 0
RUN pwd > /out; ls -ld /srv | cut -c1-10 >> /out
