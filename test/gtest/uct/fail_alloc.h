/* What the preloaded library offers (fail_alloc.c): to be found by dlsym(). */
#ifndef TEST_UCT_FAIL_ALLOC_H_
#define TEST_UCT_FAIL_ALLOC_H_

#ifdef __cplusplus
extern "C" {
#endif

/* library: beginning of its file's name. n from 1; 0: never. It is looked for at
 * count(1), too: it may be loaded later. */
void fail_alloc_set(const char *library, unsigned long n);
/* on: this thread's allocations count from now on. Returns 1 if one failed. */
int  fail_alloc_count(int on);
long fail_alloc_balance(void);

#ifdef __cplusplus
}
#endif

#endif
