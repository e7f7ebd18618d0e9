/*
 * The state of a QP, and what else can be changed of it.
 *
 *   QP state   receives                 sends
 *   RESET INIT no: status 9             no
 *   RTR        yes                      no
 *   RTS        yes                      yes
 *   SQD SQE    yes                      entries wait
 *   ERR        no: status 9             status 1; posted receives as well
 */
#include "fabric/fabric.h"
#include "fabric/lock.h"
#include "nic/dev.h"
#include "nic/engine.h"
#include "nic/fifo.h"
#include "nic/rq.h"

#include <errno.h>
#include <infiniband/verbs.h>

/* libefa restarts its indices at 0 in RESET, so the doorbells do too. */
static int qp_reset(softefa_qp_t *qp)
{
    softefa_shm_qp_t *shm = qp->shm;
    int ret               = softefa_rq_lock_command(qp);

    if (ret != 0) {
        return ret;
    }

    if (!softefa_fifo_move(qp->recv_cq)) {
        softefa_unlock(&shm->lock);
        return ETIME;
    }

    softefa_rq_set_head(shm, 0);
    shm->journal_head = 0;
    atomic_store((_Atomic uint32_t *)softefa_fabric_at(shm->rq_db), 0);
    softefa_unlock(&shm->lock);

    softefa_engine_flush(qp, false);
    atomic_store((_Atomic uint32_t *)qp->sq_db, 0);
    qp->sq_head     = 0;
    qp->learn_phase = true;
    qp->rnr_retry   = 7;
    return 0;
}

/* Never waits: what a stopped process holds is flushed later. */
static int qp_to_err(softefa_qp_t *qp)
{
    uint32_t old = qp->shm->obj.state;

    do {
        if (old == SOFTEFA_STATE_DEAD) {
            return EIO;
        }
    } while (!atomic_compare_exchange_weak(&qp->shm->obj.state, &old,
                                           SOFTEFA_STATE_ALIVE + IBV_QPS_ERR));

    qp->state = IBV_QPS_ERR;
    softefa_rq_flush_own(qp);
    softefa_engine_flush(qp, true);
    return 0;
}

int softefa_qp_modify(softefa_qp_t *qp, const softefa_qp_mod_t *mod)
{
    softefa_dev_t *dev    = qp->dev;
    softefa_shm_qp_t *shm = qp->shm;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    if ((mod->state > IBV_QPS_ERR) || (mod->rnr_retry > 7)) {
        return EINVAL;
    }

    softefa_lock_local(&qp->lock);
    if (mod->state == IBV_QPS_ERR) {
        ret = qp_to_err(qp);
        goto out;
    }

    ret = softefa_rq_lock_command(qp);
    if (ret != 0) {
        goto out;
    }

    if (shm->obj.state == SOFTEFA_STATE_DEAD) {
        softefa_unlock(&shm->lock);
        ret = EIO;
        goto out;
    }

    if (mod->qkey >= 0) {
        shm->qkey = mod->qkey;
    }
    if (mod->state >= 0) {
        qp->state      = mod->state;
        shm->obj.state = SOFTEFA_STATE_ALIVE + mod->state;
    }
    softefa_unlock(&shm->lock);

    if (mod->sq_psn >= 0) {
        qp->sq_psn = mod->sq_psn;
    }
    if (mod->rnr_retry >= 0) {
        qp->rnr_retry = mod->rnr_retry;
    }

    switch (mod->state) {
    case IBV_QPS_RESET:
        ret = qp_reset(qp);
        break;
    case IBV_QPS_RTS:
        softefa_engine_fetch(qp);
        break;
    default:
        break;
    }
out:
    softefa_unlock_local(&qp->lock);
    return ret;
}

void softefa_qp_query(const softefa_qp_t *qp, softefa_qp_mod_t *mod)
{
    /* An error of the device (device.c): the engine sees it later. */
    mod->state     = (qp->shm->obj.state == SOFTEFA_STATE_ALIVE + IBV_QPS_ERR) ?
                             IBV_QPS_ERR :
                             qp->state;
    mod->qkey      = qp->shm->qkey;
    mod->sq_psn    = qp->sq_psn;
    mod->rnr_retry = qp->rnr_retry;
}
