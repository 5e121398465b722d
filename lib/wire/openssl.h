/* SPDX-License-Identifier: MIT */
#ifndef WIRE_OPENSSL_H
#define WIRE_OPENSSL_H

/*
 * Where OpenSSL finds no memory the program ends, as it does everywhere in ours.
 * OpenSSL itself would say that it failed, and a purchase that is good would be
 * told for good that it is forged.  To be called before anybody uses OpenSSL; in
 * a program that is without it nothing happens.
 */
void openssl_end_without_memory(void);

#endif
