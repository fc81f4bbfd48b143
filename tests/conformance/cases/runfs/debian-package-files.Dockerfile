FROM debian
RUN dpkg-query -W -f '${Package}\n' | head -5 > /list && rm -rf /usr/share/doc && mkdir /usr/share/doc
