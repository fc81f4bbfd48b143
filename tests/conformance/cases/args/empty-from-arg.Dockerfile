#: fails 3 base name \(\$IMAGE\) should not be blank
ARG IMAGE
FROM $IMAGE
