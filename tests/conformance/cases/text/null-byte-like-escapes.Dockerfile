FROM busybox
ENV A="tab\there" B='new\nline' C=back\\slash D="quo\"te" E=sp\ ace
RUN env | grep '^[A-E]=' | sort > /out
