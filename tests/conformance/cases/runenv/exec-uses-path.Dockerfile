FROM busybox
RUN mkdir /mine && printf '#!/bin/sh\necho mine > /out\n' > /mine/tool && chmod 755 /mine/tool
ENV PATH=/mine:$PATH
RUN ["tool"]
