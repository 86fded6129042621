# The vDSO as it is mapped into processes, in whole pages (kernel.mk builds it from vdso/).

    .section .rodata.vdso, "a"
    .balign 4096
    .global vdso_image, vdso_image_end
vdso_image:
    .incbin VDSO_SO
    .balign 4096
vdso_image_end:
