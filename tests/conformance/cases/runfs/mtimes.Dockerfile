FROM busybox
RUN mkdir /d && touch -d '1999-01-01 00:00:00' /d/old && touch -d '2030-01-01 00:00:00' /d/future && ln -s x /d/l && touch -h -d '1999-01-01 00:00:00' /d/l 2>/dev/null; touch -d '1990-01-01 00:00:00' /d; date +%Y > /dev/null
#: mtimes d d/*
