/*
 * A second transport that is called srd, as upstream's: on UCX's component
 * `self`, whose transport it copies, with an option UCX_SRD_... of its own.
 */
#ifndef TEST_COMMON_FAKE_SRD_H
#define TEST_COMMON_FAKE_SRD_H

#ifdef __cplusplus
extern "C" {
#endif

/* As the module of such a transport, when it is loaded and unloaded */
void fake_srd_register(void);
void fake_srd_unregister(void);

/* What UCX would list: transports called srd in all components, and tables of
 * configuration with the prefix SRD_ */
unsigned fake_srd_count_transports(void);
unsigned fake_srd_count_tables(void);

/* Asks component efasrd for its devices, as UCX does before it lists
 * transports; 0 if it answers */
int fake_srd_query_ours(void);

#ifdef __cplusplus
}
#endif

#endif
