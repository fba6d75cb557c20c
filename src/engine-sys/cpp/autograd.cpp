// The functions of learn.h as libtorch's automatic differentiation knows them, and what tch does not bind of it.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>

#include "atelier.h"
#include "guarded.h"
#include "learn.h"
#include "numbers.h"

namespace {

using namespace atelier;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

int32_t kind_of(const char* name, const at::Tensor& tensor) {
    TORCH_CHECK(tensor.defined() && tensor.device().is_cpu(), name, " is no tensor in the CPU's memory");
    if (tensor.scalar_type() == at::kFloat) return KIND_F32;
    TORCH_CHECK(tensor.scalar_type() == at::kBFloat16, name, " is neither Float nor BFloat16");
    return KIND_BF16;
}

// A gradient as the kernels take it.
at::Tensor dense(const at::Tensor& gradient, const at::Tensor& like) {
    return gradient.to(like.scalar_type()).contiguous();
}

struct Norm : Function<Norm> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                              double epsilon) {
        const int32_t kind = kind_of("the input", input);
        const int64_t width = input.dim() > 0 ? input.size(-1) : 0;
        TORCH_CHECK(weight.dim() == 1 && weight.size(0) == width && width > 0 && kind_of("the weight", weight) == kind,
                    "the weight has shape ", weight.sizes(), ", expected one of its type for each of ", width,
                    " columns");
        const at::Tensor from = input.contiguous(), by = weight.contiguous();
        const int64_t rows = from.numel() / width;
        at::Tensor output = at::empty_like(from);
        at::Tensor factors = at::empty({rows}, from.options().dtype(at::kFloat));
        learn::norm(kind, from.const_data_ptr(), by.const_data_ptr(), output.data_ptr(), factors.data_ptr<float>(),
                    rows, width, static_cast<float>(epsilon));
        context->save_for_backward({from, by, factors});
        return output;
    }

    static variable_list backward(AutogradContext* context, variable_list gradients) {
        const variable_list saved = context->get_saved_variables();
        const at::Tensor &input = saved[0], &weight = saved[1], &factors = saved[2];
        const at::Tensor gradient = dense(gradients[0], input);
        const int32_t kind = kind_of("the input", input);
        const int64_t rows = factors.size(0), width = weight.size(0);
        at::Tensor of_input, of_weight;
        if (context->needs_input_grad(0)) {
            of_input = at::empty_like(input);
            learn::norm_back(kind, input.const_data_ptr(), weight.const_data_ptr(), gradient.const_data_ptr(),
                             factors.const_data_ptr<float>(), of_input.data_ptr(), rows, width);
        }
        if (context->needs_input_grad(1)) {
            of_weight = at::empty({width}, factors.options());
            learn::norm_weight_back(kind, input.const_data_ptr(), gradient.const_data_ptr(),
                                    factors.const_data_ptr<float>(), of_weight.data_ptr<float>(), rows, width);
            of_weight = of_weight.to(weight.scalar_type());
        }
        return {of_input, of_weight, at::Tensor()};
    }
};

struct Gate : Function<Gate> {
    static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up) {
        const int32_t kind = kind_of("the input", gate_up);
        TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0, "shape ", gate_up.sizes(), " is no two halves");
        const at::Tensor from = gate_up.contiguous();
        at::Tensor output = at::empty({from.size(0), from.size(1) / 2}, from.options());
        atelier_silu_mul(from.const_data_ptr(), output.data_ptr(), kind, output.size(0), output.size(1));
        context->save_for_backward({from});
        return output;
    }

    static variable_list backward(AutogradContext* context, variable_list gradients) {
        const at::Tensor gate_up = context->get_saved_variables()[0];
        const at::Tensor gradient = dense(gradients[0], gate_up);
        at::Tensor result = at::empty_like(gate_up);
        learn::gate_back(kind_of("the input", gate_up), gate_up.const_data_ptr(), gradient.const_data_ptr(),
                         result.data_ptr(), gradient.size(0), gradient.size(1));
        return {result};
    }
};

struct Heads : Function<Heads> {
    static learn::Heads call(const at::Tensor& cosines, const at::Tensor& sines, int64_t heads, int64_t kv_heads) {
        return {cosines.size(0),
                heads,
                kv_heads,
                2 * cosines.size(1),
                cosines.const_data_ptr<float>(),
                sines.const_data_ptr<float>()};
    }

    static variable_list forward(AutogradContext* context, const at::Tensor& qkv, const at::Tensor& cosines,
                                 const at::Tensor& sines, int64_t heads, int64_t kv_heads) {
        const int32_t kind = kind_of("the rows", qkv);
        TORCH_CHECK(heads > 0 && kv_heads > 0 && heads % kv_heads == 0, heads, " heads do not share ", kv_heads);
        TORCH_CHECK(cosines.dim() == 2 && sines.sizes() == cosines.sizes(), "the angles have no two equal matrices");
        for (const at::Tensor& table : {cosines, sines}) {
            TORCH_CHECK(kind_of("the angles", table) == KIND_F32 && table.is_contiguous(), "the angles are not dense");
        }
        const int64_t rows = cosines.size(0), dim = 2 * cosines.size(1);
        TORCH_CHECK(qkv.dim() == 2 && qkv.size(0) == rows && qkv.size(1) == (heads + 2 * kv_heads) * dim, "shape ",
                    qkv.sizes(), " is no ", rows, " rows of ", heads, " and twice ", kv_heads, " heads of ", dim);
        const at::Tensor from = qkv.contiguous();
        variable_list outputs;
        for (int i = 0; i < 3; i++) outputs.push_back(at::empty({rows, heads, dim}, from.options()));
        learn::split(kind, call(cosines, sines, heads, kv_heads), from.const_data_ptr(), outputs[0].data_ptr(),
                     outputs[1].data_ptr(), outputs[2].data_ptr());
        context->save_for_backward({cosines, sines});
        context->saved_data["heads"] = heads;
        context->saved_data["kv_heads"] = kv_heads;
        return outputs;
    }

    static variable_list backward(AutogradContext* context, variable_list gradients) {
        const variable_list saved = context->get_saved_variables();
        const learn::Heads heads = call(saved[0], saved[1], context->saved_data["heads"].toInt(),
                                        context->saved_data["kv_heads"].toInt());
        for (at::Tensor& gradient : gradients) gradient = gradient.contiguous();
        at::Tensor result =
            at::empty({heads.rows, (heads.heads + 2 * heads.kv_heads) * heads.dim}, gradients[0].options());
        learn::split_back(kind_of("the gradient", result), heads, gradients[0].const_data_ptr(),
                          gradients[1].const_data_ptr(), gradients[2].const_data_ptr(), result.data_ptr());
        return {result, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

}  // namespace

extern "C" {

// Each returns null where libtorch or a check of the arguments fails.
at::Tensor* atelier_learn_norm(const at::Tensor* input, const at::Tensor* weight, double epsilon, char* message,
                               int64_t capacity) {
    at::Tensor* output = nullptr;
    guarded(message, capacity, [&] { output = new at::Tensor(Norm::apply(*input, *weight, epsilon)); });
    return output;
}

at::Tensor* atelier_learn_gate(const at::Tensor* gate_up, char* message, int64_t capacity) {
    at::Tensor* output = nullptr;
    guarded(message, capacity, [&] { output = new at::Tensor(Gate::apply(*gate_up)); });
    return output;
}

// `outputs` gets queries, keys and values.
bool atelier_learn_heads(const at::Tensor* qkv, const at::Tensor* cosines, const at::Tensor* sines, int64_t heads,
                         int64_t kv_heads, at::Tensor** outputs, char* message, int64_t capacity) {
    return guarded(message, capacity, [&] {
        const variable_list found = Heads::apply(*qkv, *cosines, *sines, heads, kv_heads);
        for (int i = 0; i < 3; i++) outputs[i] = new at::Tensor(found[i]);
    });
}

// The way back from a tensor whose gradient is known.
bool atelier_backward(const at::Tensor* output, const at::Tensor* gradient, char* message, int64_t capacity) {
    return guarded(message, capacity, [&] { torch::autograd::backward({*output}, {*gradient}); });
}

// Adds to the gradient that a tensor has.
bool atelier_add_gradient(const at::Tensor* tensor, const at::Tensor* more, char* message, int64_t capacity) {
    return guarded(message, capacity, [&] {
        at::NoGradGuard guard;
        TORCH_CHECK(more->sizes() == tensor->sizes() && more->scalar_type() == tensor->scalar_type(),
                    "a gradient of shape ", more->sizes(), " for a tensor of shape ", tensor->sizes());
        at::Tensor& gradient = tensor->mutable_grad();
        if (gradient.defined()) {
            gradient.add_(*more);
        } else {
            gradient = *more;
        }
    });
}

}  // extern "C"
