#: context special
FROM busybox
COPY --chmod=u=g modes /m0/
COPY --chmod=g=u modes /m1/
COPY --chmod=go=u-w modes /m2/
COPY --chmod=u=rg modes /m3/
COPY --chmod=u=gr modes /m4/
COPY --chmod=u+go modes /m5/
COPY --chmod=u-g modes /m6/
COPY --chmod==u modes /m7/
COPY --chmod=+rt modes /m8/
COPY --chmod==rt modes /m9/
COPY --chmod=u=t modes /m10/
COPY --chmod=o=s modes /m11/
COPY --chmod==s modes /m12/
COPY --chmod=u=Xs modes /m13/
COPY --chmod=a+st modes /m14/
COPY --chmod=u=s,g=s modes /m15/
COPY --chmod=g=o+x modes /m16/
COPY --chmod=ug=rwx-w+s modes /m17/
COPY --chmod=- modes /m18/
COPY --chmod=u- modes /m19/
COPY --chmod=a=,u=rw modes /m20/
