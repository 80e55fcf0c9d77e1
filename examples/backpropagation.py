# %% [markdown]
# # Backpropagation, by hand
#
# A convolutional network in NumPy alone, without the library: each step forward, and below it the
# way back. At the end it reads handwritten digits, and the library is asked whether it finds the
# same gradients. Run it with `python examples/backpropagation.py`; it needs no network and a
# quarter of a minute.

# %%
from pathlib import Path

import numpy as np

import minicnn
from minicnn import layers
from minicnn.datasets import digits

rng = np.random.default_rng(0)

# %% [markdown]
# ## What is wanted
# A network is a chain of steps, x -> y -> ... -> L, and at the end stands one number, the loss L.
# Training asks of every number on the way: *if it grew a little, how much would L grow?* That is
# the gradient. We write dy for the array of all dL/dy_j, which has the shape of y.
#
# One could try it out: nudge a number, go forward again, look at L. This is always right, and far
# too slow: two passes for every single number. But it makes a judge whom no mistake escapes.


# %%
def nudged(loss, a, step=1e-6):
    """dL/da for an array a, number by number: (L(a + step) - L(a - step)) / (2 step)."""
    da = np.zeros_like(a)
    for place in np.ndindex(a.shape):
        kept = a[place]
        a[place] = kept + step
        above = loss()
        a[place] = kept - step
        below = loss()
        a[place] = kept
        da[place] = (above - below) / (2 * step)
    return da


def judge(names, gradients, loss, arrays):
    """Compare the gradients for some arrays with what nudging those arrays says."""
    for name, da, a in zip(names.split(), gradients, arrays, strict=True):
        expected = nudged(loss, a)
        error = np.abs(da - expected).max() / np.abs(expected).max()
        print(f"{name}: off by {error:.0e} of the largest")
        assert error < 1e-6, name


# %% [markdown]
# ## The one rule
# Let y = f(x) be one step, and suppose that somebody has told us dy. A number x_i reaches L only
# through the numbers y_j that it has a part in. So its gradient is a sum over all of these: how far
# y_j moves when x_i moves, times what that is worth to L. It is the chain rule:
#
#     dx_i = sum_j  dL/dy_j  dy_j/dx_i = sum_j  dy_j  (change of y_j per change of x_i)
#
# No step needs to know more of the network than dy. The rest is to find this sum for each kind of
# step, and to go through the chain from its end to its beginning.
#
# ## A dense layer
# y_nu = sum_i x_ni W_iu + b_u, for sample n, input i and output (unit) u. Moving x_ni by 1 moves
# y_nu by W_iu, for every u; moving W_iu by 1 moves y_nu by x_ni, for every n; moving b_u by 1 moves
# y_nu by 1, for every n. Put into the rule, these are sums that matrix products carry out:
#
#     dx_ni = sum_u dy_nu W_iu        dW_iu = sum_n x_ni dy_nu        db_u = sum_n dy_nu


# %%
def dense(x, W, b):
    return x @ W + b


def dense_backward(dy, x, W):
    dx = dy @ W.T
    dW = x.T @ dy
    db = dy.sum(axis=0)
    return dx, dW, db


x, W, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
dy = rng.normal(size=(4, 2))  # what the steps after it would say; here, anything


def loss():  # a loss whose gradient with respect to y is dy
    return (dense(x, W, b) * dy).sum()


judge("dx dW db", dense_backward(dy, x, W), loss, [x, W, b])

# %% [markdown]
# The shapes alone would have told: dx is made of dy (4, 2) and W (3, 2), and has to be (4, 3).
# Only one product fits.
#
# ## ReLU
# y = max(x, 0) copies x, or drops it. Where x was copied, dx = dy; what was dropped has no part in
# L, so there dx = 0. Which it was, y still shows: y > 0 just where x > 0.


# %%
def relu(x):
    return np.maximum(x, 0)


def relu_backward(dy, y):
    return dy * (y > 0)


# %% [markdown]
# ## A convolution
# A kernel of kh x kw places slides over the picture; the window at row r and column s makes one
# number for each filter. Seen from the kernel: each of its places (i, j) takes the picture, shifted
# by (i, j), and maps its c channels to f filters by the matrix W[i, j]. y is the sum of these:
#
#     y[n, r, s] = sum_ij  x[n, r + i, s + j] W[i, j]  +  b
#
# So it is a dense layer for each (i, j), and the way back is the dense layer's, (i, j) by (i, j):
#
#     dx[n, r + i, s + j] += dy[n, r, s] W[i, j].T          for every (r, s) and every (i, j)
#     dW[i, j] = sum_nrs  x[n, r + i, s + j].T dy[n, r, s]
#
# A pixel lies in several windows, and *adds up* what comes back from all of them: hence the +=. One
# kernel serves all windows: its gradient is a sum over all of them.


# %%
def conv(x, W, b):
    kh, kw = W.shape[:2]
    oh, ow = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    y = np.zeros((len(x), oh, ow, W.shape[3])) + b
    for i, j in np.ndindex(kh, kw):
        y += x[:, i : i + oh, j : j + ow] @ W[i, j]
    return y


def conv_backward(dy, x, W):
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), dy.sum(axis=(0, 1, 2))
    oh, ow = dy.shape[1:3]
    for i, j in np.ndindex(W.shape[:2]):
        shifted = x[:, i : i + oh, j : j + ow]
        dx[:, i : i + oh, j : j + ow] += dy @ W[i, j].T
        dW[i, j] = np.tensordot(shifted, dy, axes=([0, 1, 2], [0, 1, 2]))  # the sum over n, r, s
    return dx, dW, db


x, W, b = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=2)
dy = rng.normal(size=(2, 3, 3, 2))


def loss():
    return (conv(x, W, b) * dy).sum()


judge("dx dW db", conv_backward(dy, x, W), loss, [x, W, b])

# %% [markdown]
# ## Max-pooling
# Of each 2x2 field the largest number goes on. The winner gets all of dy, the others nothing, since
# moving them a little changes nothing. The forward has to remember who won. (The reshapes only put
# the four numbers of each field side by side, on an axis of their own, and back.)


# %%
def pool(x):
    n, h, w, c = x.shape
    fields = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4)
    fields = fields.reshape(n, h // 2, w // 2, c, 4)
    return fields.max(axis=-1), fields.argmax(axis=-1)


def pool_backward(dy, winner):
    n, oh, ow, c = dy.shape
    fields = np.zeros((n, oh, ow, c, 4))
    np.put_along_axis(fields, winner[..., None], dy[..., None], axis=-1)
    fields = fields.reshape(n, oh, ow, c, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return fields.reshape(n, 2 * oh, 2 * ow, c)


x = np.array([[1.0, 3.0], [2.0, 0.0]]).reshape(1, 2, 2, 1)
y, winner = pool(x)
print("the field", x.ravel(), "-> its largest", y.ravel())
print("dy = 5 goes back as", pool_backward(np.full_like(y, 5), winner).ravel())

# %% [markdown]
# ## The loss
# Softmax turns the last numbers z of a sample into probabilities, p_k = e^z_k / sum_j e^z_j, and
# cross-entropy asks how surprising the true class is: L = -log p_true. Together,
#
#     L = -z_true + log sum_j e^z_j
#
# Now differentiate. The first term gives -1 for the true class and 0 for the others: that is -t_k,
# with t one where the true class is and zero elsewhere. The second gives e^z_k / sum_j e^z_j, and
# that is p_k again:
#
#     dz_k = p_k - t_k
#
# What the network said, minus what it should have said. (L is the mean over the n samples of a
# batch, hence the division by n below.)


# %%
def cross_entropy(z, labels):
    e = np.exp(z - z.max(axis=1, keepdims=True))  # minus the largest: nothing overflows
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(z)), labels]).mean(), p


def cross_entropy_backward(p, labels):
    return (p - np.eye(p.shape[1])[labels]) / len(p)


z, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
_, p = cross_entropy(z, labels)
judge("dz", [cross_entropy_backward(p, labels)], lambda: cross_entropy(z, labels)[0], [z])

# %% [markdown]
# ## The network
# Forward through the chain, keeping what the way back will ask for; then back, where each step's
# dx is the dy of the step before it.


# %%
def forward(x, weights):
    W1, b1, W2, b2 = weights
    a = relu(conv(x, W1, b1))
    pooled, winner = pool(a)
    flat = pooled.reshape(len(x), -1)
    z = dense(flat, W2, b2)
    return z, (x, a, pooled.shape, winner, flat)


def backward(dz, saved, weights):
    W1, _, W2, _ = weights
    x, a, pooled_shape, winner, flat = saved
    dflat, dW2, db2 = dense_backward(dz, flat, W2)
    da = pool_backward(dflat.reshape(pooled_shape), winner)
    dx, dW1, db1 = conv_backward(relu_backward(da, a), x, W1)
    return dx, [dW1, db1, dW2, db2]


def loss_and_gradients(x, labels, weights):
    z, saved = forward(x, weights)
    value, p = cross_entropy(z, labels)
    dx, gradients = backward(cross_entropy_backward(p, labels), saved, weights)
    return value, dx, gradients


(x_train, y_train), (x_test, y_test) = digits.load_data()
x_train, x_test = x_train[..., None] / 16, x_test[..., None] / 16  # (n, 8, 8, 1), from 0 to 1
weights = [
    rng.normal(0, 0.3, (3, 3, 1, 16)),
    rng.normal(0, 0.1, 16),  # 0 would stand on the ReLU's kink where the picture is black
    rng.normal(0, 0.1, (3 * 3 * 16, 10)),
    np.zeros(10),
]

few, few_labels = x_train[:3], y_train[:3]
_, _, gradients = loss_and_gradients(few, few_labels, weights)


def loss():
    z, _ = forward(few, weights)
    return cross_entropy(z, few_labels)[0]


judge("dW1 db1 dW2 db2", gradients, loss, weights)

# %% [markdown]
# ## Training
# Gradient descent: each weight takes a step against its gradient, here of 0.2 times its size. That
# is all.

# %%
for epoch in range(12):
    losses = []
    order = rng.permutation(len(x_train))
    for start in range(0, len(order), 32):
        batch = order[start : start + 32]
        value, _, gradients = loss_and_gradients(x_train[batch], y_train[batch], weights)
        for w, dw in zip(weights, gradients, strict=True):
            w -= 0.2 * dw
        losses.append(value)
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")
accuracy = (forward(x_test, weights)[0].argmax(axis=1) == y_test).mean()
print(f"{accuracy:.1%} of the test digits are read correctly")

# %% [markdown]
# ## The library, asked for the same
# The same network with the same weights. Its gradients are ours.

# %%
model = minicnn.Sequential(
    [
        layers.Input((8, 8, 1), dtype="float64"),
        layers.Conv2D(16, 3, activation="relu", dtype="float64"),
        layers.MaxPooling2D(2, dtype="float64"),
        layers.Flatten(dtype="float64"),
        layers.Dense(10, activation="softmax", dtype="float64"),
    ]
)
model.compile(loss="sparse_categorical_crossentropy")
model.set_weights(weights)
ours, _, gradients = loss_and_gradients(x_train[:100], y_train[:100], weights)
theirs, expected = model.compute_gradients(x_train[:100], y_train[:100])
difference = max(
    np.abs(a - b).max() / np.abs(b).max() for a, b in zip(gradients, expected, strict=True)
)
print(f"loss {ours:.12f} and {theirs:.12f}; gradients differ by {difference:.0e} of the largest")
assert difference < 1e-12

# %% [markdown]
# ## What dx tells
# The way back does not end at the weights. dx says of each pixel how the loss would grow if it were
# brighter: red, if the digit would become harder to read; blue, if easier. The black line is the
# outline of the digit, and the strongest colour is each picture's own largest number. Look for the
# red pixels that would make the digit another one: the gap of the 5, closed, makes a 9.

# %%
shown = np.array([np.flatnonzero(y_test == digit)[0] for digit in range(10)])
_, dx, _ = loss_and_gradients(x_test[shown], y_test[shown], weights)
dx /= np.abs(dx).max(axis=(1, 2, 3), keepdims=True)
figure = minicnn.plot.images(dx, y_test[shown], rows=2, cmap="coolwarm", value_range=(-1, 1))
for axes, digit in zip(figure.axes, x_test[shown], strict=True):
    axes.contour(digit[..., 0], levels=[0.4], colors="black")
here = Path(__file__).parent if "__file__" in globals() else Path()
figure.savefig(here / "backpropagation_dx.png")
print(f"see {here / 'backpropagation_dx.png'}")

# %% [markdown]
# ## Exercises
# 1. Leave `/ len(p)` out of `cross_entropy_backward`. Does the judge notice? Does training still
#    work, and with which step length?
# 2. Let `relu_backward` pass on all of dy. What does the judge say, and what does training do?
# 3. Let `conv_backward` write `=` in place of `+=`. Which of its three gradients is wrong now?
# 4. Give the network a second convolution. Apart from the weights, only `forward` and `backward`
#    change: why?
# 5. `minicnn/backends/numpy/conv.py` has the same convolution with strides, padding, dilation and
#    groups. Find the line there that adds to dx.
#
# From here, README.md names the files of the library in the order in which to read them.
